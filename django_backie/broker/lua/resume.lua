-- Let a queue give out jobs again.
-- keys: p
-- args: prefix queue
-- include: place paused
-- Answers whether it was paused, 1 or 0.
local was_paused = redis.call('HDEL', p, queue)
-- Also where it was not: half of an earlier call may have woken nobody.
wake_if_ready(prefix, queue)
return was_paused
