-- Register a worker, or tell that its lease still stands.
-- keys: w wi
-- args: prefix worker lease info
-- include: time
begin_with_a_free_write(prefix)
redis.call('ZADD', w, whole(now_ms() + tonumber(lease)), worker)
redis.call('HSET', wi, worker, info)
return 1
