-- Tell a worker what it holds: repairs a lost reply.
-- keys: b h
-- args: prefix worker
-- include: time record
-- Answers a flat list as include/claim.lua does.
local answer = {}
local held = redis.call('HGETALL', prefix .. 'w:' .. worker)
for at = 1, #held, 2 do
  local id, body = held[at], redis.call('HGET', b, held[at])
  local token = string.match(held[at + 1], '^%d+')
  local record = parse(redis.call('HGET', h, id))
  if body and record.worker == worker and record.state == 'R' then
    for _, value in ipairs({id, token, record.attempt, record.crashes, body, record.first, record.history}) do
      answer[#answer + 1] = value
    end
  else
    redis.call('HDEL', prefix .. 'w:' .. worker, id)
  end
end
return answer
