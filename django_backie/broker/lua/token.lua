-- Take a token of a rate limit.
-- keys: lr lh
-- args: prefix key interval burst
-- include: time record place adaptive limits
-- Answers 0 where it was taken, else in how many ms there will be one.
local now = now_ms()
local limits = {rate = key, interval = tonumber(interval), burst = tonumber(burst)}
local left, look = room(prefix, key, limits, now)
if left < 1 then return math.max(1, look - now) end
take_token(prefix, key, full_at(prefix, key, now, limits), limits.interval)
return 0
