-- Move ready jobs to another queue, and those set aside for want of room; each keeps its priority, and its place among all.
-- keys: b h lw
-- args: prefix source target keep keep_failed
-- include: time mark record place fair
-- Three arguments a job: id, the signature of the body that it has, the body that it is to have.
-- Answers per job 1, or 0 where it is not ready in the source any more, or has another body.
local now = now_ms()
local from = prefix .. 'q:' .. source
local ids, answers = {}, {}
for at = first, #ARGV, 3 do ids[#ids + 1] = ARGV[at] end
local bodies, records, scores = fetch(b, ids), fetch(h, ids), call_for_each('ZMSCORE', from, ids)
local parked = fetch(lw, ids)
local gone, placed, new, written, marked = {}, {}, {}, {}, {}

-- Who stands in a line goes to the end of that of the other queue. Nobody comes up in the former, lest he slip past who
-- moves a whole queue. All others keep their number, whatever a priority is worth in either queue.
local function moved(id, former, body, score)
  local _, priority = head_of(former)
  local line = line_of(former, source, priority)
  if line and redis.call('ZREM', prefix .. 'gl:' .. line, id) == 1 then
    return line_up(prefix, id, body, target, priority, redis.call('INCR', prefix .. 'seq'))
  end
  local step, new_step = step_of(former), step_of(body)
  if step == new_step then return whole(tonumber(score)) end
  return score_of(priority, tonumber(score) + tonumber(priority) * (step or per_priority), new_step)
end

-- What was set aside goes to its place in the other queue: whoever comes across it there looks anew for room. Queues and
-- tasks may have any name, so that of the queue is taken off the end.
local function place_aside(text, body)
  if not text or head_of(body or '') ~= source then return nil end
  return string.match(string.sub(text, 1, -#source - 2), '|(-?%d+)$')
end

for index, id in ipairs(ids) do
  local record, score = parse(records[index]), scores[index] or place_aside(parked[index], bodies[index])
  local signature = string.match(bodies[index] or '', '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)\n')
  answers[index] = 0
  if score and waits[record.state] and signature == ARGV[first + 3 * index - 2] then
    answers[index] = 1
    touch(record, now)
    gone[#gone + 1] = id
    placed[#placed + 1] = moved(id, bodies[index], ARGV[first + 3 * index - 1], score)
    placed[#placed + 1] = id
    new[#new + 1] = id
    new[#new + 1] = ARGV[first + 3 * index - 1]
    written[#written + 1] = id
    written[#written + 1] = format(record)
    marked[#marked + 1] = whole(record.version)
    marked[#marked + 1] = id
  end
end
if #gone == 0 then return answers end
note_queue(prefix, target)
-- In this order: where a server applies the beginning of a script only, each job stands in one place, or in none
-- (mend.lua).
call_in_chunks('ZREM', from, gone, 500)
call_in_chunks('HDEL', lw, gone, 500)
call_in_chunks('HSET', h, written, 500)
call_in_chunks('HSET', b, new, 500)
call_in_chunks('ZADD', prefix .. 'q:' .. target, placed, 500)
mark(prefix, marked)
wake(prefix, target)
return answers
