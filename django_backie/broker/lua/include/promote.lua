-- Move due jobs from the waiting room to their queues, at most `limit`; their records say ready.
local function promote(prefix, now, limit)
  let_in_where_due(prefix, now)
  local due = redis.call('ZRANGEBYSCORE', prefix .. 's', '-inf', whole(now), 'LIMIT', 0, limit)
  if #due == 0 then return 0 end
  call_in_chunks('ZREM', prefix .. 's', due, 500)
  local bodies, records = fetch(prefix .. 'b', due), fetch(prefix .. 'h', due)
  for index, id in ipairs(due) do
    local record = parse(records[index])
    if bodies[index] and waits[record.state] then
      local place = redis.call('HGET', prefix .. 'f', id)
      if place then
        redis.call('HDEL', prefix .. 'f', id)
        local score, queue = string.match(place, '^(-?%d+)|(.*)$')
        make_ready(prefix, id, queue, score)
      else
        append(prefix, id, bodies[index])
      end
      record.state, record.due, record.reason = 'Q', '', ''
      touch(record, now)
      redis.call('HSET', prefix .. 'h', id, format(record))
      mark(prefix, {whole(record.version), id})
    end
  end
  return #due
end
