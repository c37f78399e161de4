-- Add jobs; one that is here already is left alone.
-- keys: b s seq
-- args: prefix keep keep_failed
-- include: time mark place
-- Five arguments a job: id, queue, priority, run after in ms since the epoch (or empty), body.
-- Answers per job: 1 added, 0 already here.
local now = now_ms()
local answers, bodies, marked, woken = {}, {}, {}, {}
for at = first, #ARGV, 5 do
  local id, queue, priority, due, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if redis.call('HSETNX', b, id, body) == 0 then
    answers[#answers + 1] = 0
  else
    answers[#answers + 1] = 1
    if not woken[queue] then note_queue(prefix, queue) end
    if due ~= '' and tonumber(due) > now then
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
