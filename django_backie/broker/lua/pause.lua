-- Let a queue give out no jobs.
-- keys: p
-- args: prefix queue pause
-- include: time
-- The pause is its end in ms or nothing, "|", and what people read; it takes the place of one that is there.
-- Answers 1.
begin_with_a_free_write(prefix)
redis.call('HSET', p, queue, pause)
return 1
