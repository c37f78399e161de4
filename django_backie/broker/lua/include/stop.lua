-- Take a waiting job out of its place and end it as cancelled; whoever asks for it marks it for the mirror.
local function stop_waiting(prefix, id, body, record, reason, now)
  redis.call('ZREM', prefix .. 's', id)
  redis.call('HDEL', prefix .. 'f', id)
  redis.call('HDEL', prefix .. 'lw', id)
  redis.call('ZREM', prefix .. 'q:' .. head_of(body), id)
  record.reason = reason
  give_up(record, now)
  touch(record, now)
  redis.call('HSET', prefix .. 'h', id, format(record))
  expire(prefix, id, 'C', now)
end
