-- Show how far attempts are; only what a worker still runs under the token that it had for it.
-- keys: pr h
-- args: prefix
-- include: time record
-- The rest, for each attempt: worker, id, token, progress as one line of JSON.
-- Answers per attempt: 1 shown, 0 it is not the worker's (any more).
-- A full server refuses this: nobody's job depends on it.
local answers = {}
for at = first, #ARGV, 4 do
  local worker, id, token, progress = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local hold = redis.call('HGET', prefix .. 'w:' .. worker, id)
  local record = parse(redis.call('HGET', h, id))
  if hold and string.match(hold, '^%d+') == token and record.worker == worker and record.state == 'R' then
    redis.call('HSET', pr, id, record.started .. '|' .. progress)
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 0
  end
end
return answers
