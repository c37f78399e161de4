-- Un-mark mirrored jobs unless they have changed again; what has ended leaves Redis, the row is its record now.
-- keys: d b h
-- args:
-- include: time record
-- The rest: id and version for each job.
-- Answers the number of jobs un-marked.
local count = 0
for at = first, #ARGV, 2 do
  local id, version = ARGV[at], ARGV[at + 1]
  if redis.call('ZSCORE', d, id) == version then
    redis.call('ZREM', d, id)
    count = count + 1
    local text = redis.call('HGET', h, id)
    if text and ended[string.sub(text, 1, 1)] then
      redis.call('HDEL', h, id)
      redis.call('HDEL', b, id)
    end
  end
end
return count
