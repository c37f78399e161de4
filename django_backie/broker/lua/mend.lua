-- Put right what half of a script has left.
-- keys: b h s f d w x lw la
-- args: prefix keep keep_failed
-- include: time mark record place fair
-- The rest: ids.
-- Answers the number of jobs that stood in no place, or in two.
--
-- A server whose append-only file ends within a script leaves out the script's beginning when it starts, but not in the
-- file; at the next start it applies it, together with what was written behind it.
begin_with_a_free_write(prefix)
local now = now_ms()

local function is_held(id, worker)
  return redis.call('ZSCORE', w, worker) and redis.call('HEXISTS', prefix .. 'w:' .. worker, id) == 1
end

local function leave_places(key, id, body)
  redis.call('ZREM', key, id)
  leave_line(prefix, id, body)
  redis.call('ZREM', s, id)
  redis.call('HDEL', f, id)
  redis.call('HDEL', lw, id)
end

local function is_parked(id, record)
  local key = string.match(redis.call('HGET', lw, id) or '', '^[^|]*')
  local is_there = key ~= '' and record.state == 'Q' and redis.call('ZSCORE', prefix .. 'lp:' .. key, id)
  if is_there then redis.call('ZADD', la, 'NX', whole(now), key) end
  return is_there
end

-- Puts a job where its record says that it is; tells whether it was elsewhere.
local function put_right(id, body, record)
  local key = prefix .. 'q:' .. (head_of(body))
  local is_ready, is_waiting = redis.call('ZSCORE', key, id), redis.call('ZSCORE', s, id)
  if is_ready and tonumber(is_ready) >= not_due and not is_in_line(prefix, id, body) then append(prefix, id, body) end
  local is_put_by = is_parked(id, record)
  local is_placed = is_ready or is_waiting or is_put_by
  if record.state == 'R' and not is_held(id, record.worker) then
    redis.call('HDEL', prefix .. 'w:' .. record.worker, id)
    record.attempt = record.attempt - 1
    if is_asked(record) then
      give_up(record, now)
      leave_places(key, id, body)
    else
      record.state, record.reason = 'Q', 'recovered'
      if not is_placed then append(prefix, id, body) end
    end
  elseif record.state == 'R' or record.state == 'B' or ended[record.state] then
    leave_places(key, id, body)
    return is_placed
  elseif is_ready and (is_waiting or is_put_by or record.state ~= 'Q') then
    redis.call('ZREM', s, id)
    redis.call('HDEL', f, id)
    redis.call('HDEL', lw, id)
    record.state, record.due = 'Q', ''
  elseif is_placed then
    return false
  else
    -- Whoever keeps time next makes it ready.
    redis.call('ZADD', s, record.due == '' and whole(now) or record.due, id)
  end
  return true
end

local ids, count = {}, 0
for at = first, #ARGV do ids[#ids + 1] = ARGV[at] end
local bodies, records = fetch(b, ids), fetch(h, ids)
for index, id in ipairs(ids) do
  if bodies[index] then
    local record = parse(records[index])
    if put_right(id, bodies[index], record) then
      count = count + 1
      touch(record, now)
      redis.call('HSET', h, id, format(record))
      mark(prefix, {whole(record.version), id})
    elseif records[index] and not redis.call('ZSCORE', d, id) then
      -- Its last change may not have been marked any more; to mirror it once more is no harm.
      mark(prefix, {whole(record.version), id})
    end
    if ended[record.state] and not redis.call('ZSCORE', x, id) then expire(prefix, id, record.state, now) end
  end
end
return count
