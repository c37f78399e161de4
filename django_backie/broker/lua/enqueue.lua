-- Add jobs; one that is here already is left alone.
-- keys: b s seq
-- args: prefix bounds keep keep_failed
-- include: time mark place
-- Five arguments a job: id, queue, priority, run after in ms since the epoch (or empty), body.
-- Bounds: the most ready jobs of a queue, as JSON of queue ("*": any other) -> number, or empty.
-- Answers per job: 1 added, 0 already here, 2 refused because its queue is full.
local now = now_ms()
local bound_of = bounds ~= '' and cjson.decode(bounds) or {}

local function is_full(queue)
  local most = bound_of[queue] or bound_of['*']
  return most and redis.call('ZCARD', prefix .. 'q:' .. queue) >= most
end

local answers, bodies, marked, woken = {}, {}, {}, {}
for at = first, #ARGV, 5 do
  local id, queue, priority, due, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local is_later = due ~= '' and tonumber(due) > now
  if redis.call('HEXISTS', b, id) == 1 then
    answers[#answers + 1] = 0
  elseif not is_later and is_full(queue) then
    answers[#answers + 1] = 2
  else
    answers[#answers + 1] = 1
    redis.call('HSET', b, id, body)
    if not woken[queue] then note_queue(prefix, queue) end
    if is_later then
      redis.call('ZADD', s, due, id)
    else
      redis.call('ZADD', prefix .. 'q:' .. queue, score_of(priority, redis.call('INCR', seq)), id)
    end
    woken[queue] = true
    marked[#marked + 1] = whole(now)
    marked[#marked + 1] = id
  end
end
mark(prefix, marked)
for queue in pairs(woken) do wake(prefix, queue) end
return answers
