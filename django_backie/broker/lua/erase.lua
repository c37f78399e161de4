-- Remove every trace of jobs, wherever they stand; a running attempt's result will be refused as stale.
-- keys: b h s d f x w e pr lw
-- args: prefix
-- include: time record place fair unique adaptive limits
-- The rest: ids.
-- Answers the number of jobs that were here.
local workers = redis.call('ZRANGE', w, 0, -1)
local ids, count, now = {}, 0, now_ms()
for at = first, #ARGV do
  local id = ARGV[at]
  ids[#ids + 1] = id
  local body = redis.call('HGET', b, id)
  if body then
    count = count + 1
    redis.call('ZREM', prefix .. 'q:' .. head_of(body), id)
    leave_line(prefix, id, body)
    give_up_key(prefix, body, id)
  end
  -- For an hour: a snapshot of the job may be on its way to the mirror.
  redis.call('ZADD', e, whole(now + 3600000), id)
  redis.call('HDEL', pr, id)
  redis.call('HDEL', b, id)
  redis.call('HDEL', h, id)
  redis.call('HDEL', f, id)
  redis.call('HDEL', lw, id)
  redis.call('ZREM', s, id)
  redis.call('ZREM', d, id)
  redis.call('ZREM', x, id)
  for _, worker in ipairs(workers) do redis.call('HDEL', prefix .. 'w:' .. worker, id) end
end
release(prefix, ids, now)
return count
