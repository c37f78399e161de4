-- Take back everything a worker holds: unstarted jobs free of charge, started ones with a crash on their account.
local crash_delay, crash_limit = 30000, 3

-- How far an attempt was goes with its end; what stands there may be an earlier attempt's.
local function last_progress(prefix, id, record)
  local started, progress = string.match(redis.call('HGET', prefix .. 'pr', id) or '', '^(%d+)|(.*)$')
  return started == record.started and ',"p":' .. progress or ''
end

local function lost_note(prefix, id, record, now)
  return string.format('{"n":%d,"w":%s,"s":%s,"e":%s,"o":"lost"%s}', record.attempt, cjson.encode(record.worker),
    string.format('%.3f', tonumber(record.started) / 1000), string.format('%.3f', now / 1000),
    last_progress(prefix, id, record))
end

local function charge(prefix, id, score, queue, record, now)
  add_note(record, lost_note(prefix, id, record, now))
  record.crashes = record.crashes + 1
  record.attempt = record.attempt - 1
  if is_asked(record) then
    give_up(record, now)
  elseif record.crashes >= crash_limit then
    record.state, record.finished = 'F', whole(now)
    record.reason = 'killed its worker ' .. crash_limit .. ' times'
  elseif record.crashes == 1 then
    record.state, record.reason = 'Q', 'recovered'
    make_ready(prefix, id, queue, score)
  else
    record.state, record.reason, record.due = 'Y', 'recovered', whole(now + crash_delay)
    redis.call('ZADD', prefix .. 's', record.due, id)
    redis.call('HSET', prefix .. 'f', id, score .. '|' .. queue)
  end
end

local function hand_back(prefix, id, score, queue, record, reason, now)
  record.attempt = record.attempt - 1
  if is_asked(record) then
    give_up(record, now)
  else
    record.state, record.reason = 'Q', reason
    make_ready(prefix, id, queue, score)
  end
end

-- `begun` is the set of ids that had started; without one, the marks in the holds must do. A worker that was stopping
-- has probably been killed for its slowness: none of its jobs is charged.
local function recover(prefix, worker, now, begun)
  if redis.call('SREM', prefix .. 'ws', worker) == 1 then begun = {} end
  local held, ids = redis.call('HGETALL', prefix .. 'w:' .. worker), {}
  for at = 1, #held, 2 do
    local id = held[at]
    ids[#ids + 1] = id
    local _, started, score, queue = string.match(held[at + 1], '^(%d+)|(%d)|(-?%d+)|(.*)$')
    local record = parse(redis.call('HGET', prefix .. 'h', id))
    if record.worker == worker and record.state == 'R' then
      if (begun and begun[id]) or (not begun and started ~= '0') then
        charge(prefix, id, score, queue, record, now)
      else
        -- Whose start nobody could know of counts as started from now on (include/claim.lua).
        hand_back(prefix, id, score, queue, record, begun and '' or 'recovered', now)
      end
      touch(record, now)
      redis.call('HSET', prefix .. 'h', id, format(record))
      mark(prefix, {whole(record.version), id})
      expire(prefix, id, record.state, now)
    end
  end
  redis.call('DEL', prefix .. 'w:' .. worker)
  redis.call('ZREM', prefix .. 'w', worker)
  redis.call('HDEL', prefix .. 'wi', worker)
  release(prefix, ids, now)
  return #held / 2
end
