-- Keep the identity of the server on which everything is as the rows say.
-- keys: epoch
-- args: prefix identity
-- include: time
-- Answers 1.
begin_with_a_free_write(prefix)
redis.call('SET', epoch, identity)
return 1
