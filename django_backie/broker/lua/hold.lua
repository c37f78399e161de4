-- Let no job of some limits start for a time; one that is held for longer already stays so.
-- keys: lh
-- args: prefix milliseconds
-- include: time
-- The rest: names of limits, without the letters of their kinds.
-- Answers how many there are.
begin_with_a_free_write(prefix)
local stop = now_ms() + tonumber(milliseconds)
for at = first, #ARGV do
  redis.call('ZADD', lh, whole(math.max(stop, tonumber(redis.call('ZSCORE', lh, ARGV[at]) or 0))), ARGV[at])
end
return #ARGV - first + 1
