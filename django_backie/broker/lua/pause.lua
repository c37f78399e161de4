-- Let a queue, or a task (include/paused.lua), give out no jobs.
-- keys: p
-- args: prefix name pause
-- include: time
-- The pause is its end in ms or nothing, "|", and what people read; it takes the place of one that is there.
-- Answers 1.
begin_with_a_free_write(prefix)
redis.call('HSET', p, name, pause)
return 1
