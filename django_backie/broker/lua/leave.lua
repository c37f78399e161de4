-- Strike a worker off that holds nothing any more.
-- keys: w wi ws
-- args: prefix worker
if redis.call('EXISTS', prefix .. 'w:' .. worker) == 1 then return 0 end
redis.call('ZREM', w, worker)
redis.call('HDEL', wi, worker)
redis.call('SREM', ws, worker)
return 1
