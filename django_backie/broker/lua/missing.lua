-- Tell which jobs are not here.
-- keys: b
-- args:
-- The rest: ids.
-- Answers the ids that are missing.
local answer = {}
for at = first, #ARGV do
  if redis.call('HEXISTS', b, ARGV[at]) == 0 then answer[#answer + 1] = ARGV[at] end
end
return answer
