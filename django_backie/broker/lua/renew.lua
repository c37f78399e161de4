-- Move the lease end of workers; mark jobs as started so that a crash is charged to the right ones.
-- keys: w
-- args: prefix lease
-- include: time
-- The rest, for each worker: its name, the number of started jobs, their ids.
-- Answers per worker: 1 renewed, 0 fenced (the lease has lapsed and its jobs were taken back).
begin_with_a_free_write(prefix)
local stop = whole(now_ms() + tonumber(lease))
local answers, at = {}, first
while at <= #ARGV do
  local worker, count = ARGV[at], tonumber(ARGV[at + 1])
  if redis.call('ZSCORE', w, worker) then
    answers[#answers + 1] = 1
    redis.call('ZADD', w, stop, worker)
    for index = at + 2, at + 1 + count do
      local hold = redis.call('HGET', prefix .. 'w:' .. worker, ARGV[index])
      if hold then
        redis.call('HSET', prefix .. 'w:' .. worker, ARGV[index], (string.gsub(hold, '^(%d+)|0|', '%1|1|', 1)))
      end
    end
  else
    answers[#answers + 1] = 0
  end
  at = at + 2 + count
end
return answers
