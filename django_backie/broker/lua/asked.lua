-- Tell a worker which of the jobs that it runs were asked to cancel.
-- keys: h
-- args: prefix worker
-- include: time record
-- Answers a flat list: id, token, reason for each job.
local answer = {}
local held = redis.call('HGETALL', prefix .. 'w:' .. worker)
for at = 1, #held, 2 do
  local record = parse(redis.call('HGET', h, held[at]))
  if record.worker == worker and is_asked(record) then
    for _, value in ipairs({held[at], string.match(held[at + 1], '^%d+'), record.reason}) do answer[#answer + 1] = value end
  end
end
return answer
