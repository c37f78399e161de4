-- Note that workers are stopping: whoever is killed meanwhile has not crashed by its jobs' fault.
-- keys: w ws
-- args: prefix
-- include: time
-- The rest: the workers' names.
-- Answers the number of those that are registered.
begin_with_a_free_write(prefix)
local count = 0
for at = first, #ARGV do
  if redis.call('ZSCORE', w, ARGV[at]) then
    redis.call('SADD', ws, ARGV[at])
    count = count + 1
  end
end
return count
