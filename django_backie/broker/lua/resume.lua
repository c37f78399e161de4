-- Let a queue, or a task (include/paused.lua), give out jobs again.
-- keys: p
-- args: prefix name
-- include: time record place adaptive limits paused
-- Answers whether it was paused, 1 or 0.
local was_paused = redis.call('HDEL', p, name)
-- Also where it was not: half of an earlier call may have woken nobody.
go_on(prefix, name, now_ms())
return was_paused
