-- Show which jobs are here, a part of them at a time.
-- keys: b
-- args: cursor count
-- Answers the next cursor ("0" after the last part), then ids. One that stays all the while is shown at least once
-- (HSCAN).
local found = redis.call('HSCAN', b, cursor, 'COUNT', count)
local answer = {found[1]}
for at = 1, #found[2], 2 do answer[#answer + 1] = found[2][at] end
return answer
