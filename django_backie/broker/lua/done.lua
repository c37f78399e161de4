-- Un-mark mirrored jobs unless they have changed again; what has ended leaves Redis, the row is its record now.
-- keys: d b h e
-- args: prefix
-- include: time record
-- The rest: id and version for each job.
-- Answers the ids among them that were erased meanwhile: their rows must go.
begin_with_a_free_write(prefix)
local erased = {}
local watch = redis.call('EXISTS', e) == 1
for at = first, #ARGV, 2 do
  local id, version = ARGV[at], ARGV[at + 1]
  if watch and redis.call('ZSCORE', e, id) then erased[#erased + 1] = id end
  if redis.call('ZSCORE', d, id) == version then
    redis.call('ZREM', d, id)
    local text = redis.call('HGET', h, id)
    if text and ended[string.sub(text, 1, 1)] then
      redis.call('HDEL', h, id)
      redis.call('HDEL', b, id)
    end
  end
end
return erased
