-- Limits: how many jobs of a key may run at once (keys that begin with "c"), how many may start in a time ("r"). A job that
-- may not start is parked with its key, at its own place, and let in when there is room. So are jobs of a paused task (a
-- key of "t" and its name): there is no room until the pause ends.
-- `ls:<key>`: the jobs that have slots; `lj`: job -> key of its slot; `lr`: key -> when its bucket will be full again, in ms;
-- `lh`: what is held -> until when; `lw`: parked job -> key|score|queue; `lp:<key>`: parked jobs by place; `la`: key -> when
-- to look whether there is room. A slot is void when its job does not run, and an entry of `lp:<key>` when `lw` does not
-- say the same: nothing is ever stuck, whatever a crash has left of a script.
local parking_patience, most_let_in = 10000, 500
-- Jobs that have taken slots here: their records are not written yet.
local starting = {}

-- What a body says of its limits (core/limits.py); it opens the envelope, behind the unique key. Only bodies whose first
-- line bears the flag have any.
local function limits_of(body)
  local flags, envelope = string.match(body, '^%d+(%a*)\n[^\n]*\n[^\n]*\n[^\n]*\n()')
  if not flags or not string.find(flags, 'l', 1, true) then return nil end
  local text = string.match(body, '^{"l":"([^"]*)"', envelope) or string.match(body, '^{"u":"[^"]*","l":"([^"]*)"', envelope)
  if not text then return nil end
  local slot, most, bounds = string.match(text, '^(c%x+)|(%d+)|?([%d|]*)')
  local least, top = string.match(bounds or '', '^(%d+)|(%d+)$')
  local rate, interval, burst = string.match(text, '(r%x+)|([%d.]+)|(%d+)$')
  return {slot = slot, most = tonumber(most), least = tonumber(least), top = tonumber(top), rate = rate, interval = tonumber(interval), burst = tonumber(burst)}
end

local function held_until(prefix, key)
  return tonumber(redis.call('ZSCORE', prefix .. 'lh', string.sub(key, 2)) or 0)
end

local function slots_left(prefix, key, most)
  local holders = prefix .. 'ls:' .. key
  local taken = redis.call('SCARD', holders)
  if taken < most then return most - taken end
  local ids = redis.call('SMEMBERS', holders)
  for index, text in ipairs(fetch(prefix .. 'h', ids)) do
    if not starting[ids[index]] and (not text or string.sub(text, 1, 1) ~= 'R') then
      redis.call('HDEL', prefix .. 'lj', ids[index])
      redis.call('SREM', holders, ids[index])
      taken = taken - 1
    end
  end
  return most - taken
end

-- The bucket as one time (generic cell rate algorithm): it is full from then on, and each start moves it by an interval.
-- No bucket is ever emptier than empty; one that seems so was written before the clock was set back.
local function full_at(prefix, key, now, limits)
  local full = math.max(tonumber(redis.call('ZSCORE', prefix .. 'lr', key) or 0), now)
  return math.min(full, now + limits.burst * limits.interval)
end

local function tokens_left(full, now, interval, burst)
  return math.floor(burst - (full - now) / interval + 0.000001)
end

local function next_token(full, interval, burst)
  return math.ceil(full - (burst - 1) * interval - 0.000001)
end

local function take_token(prefix, key, full, interval)
  redis.call('ZADD', prefix .. 'lr', string.format('%.3f', full + interval), key)
end

-- When to look whether a task's pause is over: it may be resumed by half of a script.
local function look_of_pause(ends, now)
  return math.min(ends, now + parking_patience)
end

local function room_of_task(prefix, task, now)
  local pause = redis.call('HGET', prefix .. 'p', '\n' .. task)
  local ends = pause and (tonumber(string.match(pause, '^%d+')) or math.huge) or now
  if ends <= now then return most_let_in, now end
  return 0, look_of_pause(ends, now)
end

-- How many jobs of a key may start, and when to look again should that be too few.
local function room(prefix, key, limits, now)
  if string.sub(key, 1, 1) == 't' then return room_of_task(prefix, string.sub(key, 2), now) end
  local held = held_until(prefix, key)
  if held > now then return 0, held end
  if limits.slot == key then return slots_left(prefix, key, most_of(prefix, limits)), now + parking_patience end
  if limits.rate ~= key then return 1, now + parking_patience end
  local full = full_at(prefix, key, now, limits)
  local left = tokens_left(full, now, limits.interval, limits.burst)
  return left, next_token(full + math.max(left, 0) * limits.interval, limits.interval, limits.burst)
end

-- Answers nothing where a job may start, else the key without room, and when to look again. A key without room stays so
-- until the end of a script.
local function key_without_room(prefix, limits, now, without)
  for _, key in ipairs({limits.slot or limits.rate, limits.slot and limits.rate}) do
    if not without[key] then
      local left, look = room(prefix, key, limits, now)
      if left < 1 then without[key] = look end
    end
    if without[key] then return key, without[key] end
  end
  return nil
end

local function take_room(prefix, id, limits, now)
  if limits.slot then
    starting[id] = true
    redis.call('SADD', prefix .. 'ls:' .. limits.slot, id)
    redis.call('HSET', prefix .. 'lj', id, limits.slot)
    begin_measure(prefix, limits, now)
  end
  if limits.rate then take_token(prefix, limits.rate, full_at(prefix, limits.rate, now, limits), limits.interval) end
end

local function park(prefix, id, key, look, place)
  redis.call('HSET', prefix .. 'lw', id, table.concat({key, place.score, place.queue}, '|'))
  redis.call('ZADD', prefix .. 'lp:' .. key, place.score, id)
  redis.call('ZADD', prefix .. 'la', 'NX', whole(look), key)
end

local function is_paused_queue(prefix, queue, now)
  local pause = redis.call('HGET', prefix .. 'p', queue)
  return pause and (tonumber(string.match(pause, '^%d+')) or math.huge) > now
end

-- Where a job is parked with a key: its own place and its queue, or nothing. A task may have any name.
local function parked_place(prefix, id, key)
  local text = redis.call('HGET', prefix .. 'lw', id) or ''
  if string.sub(text, 1, #key + 1) ~= key .. '|' then return nil end
  return string.match(text, '^(-?%d+)|(.*)$', #key + 2)
end

-- Move parked jobs back to their places, as many as may start, or `most`; a worker will look once more. Those of a queue
-- that is paused come as well, and take nobody's room. Answers how many have moved.
local function let_in(prefix, key, now, most)
  local line = prefix .. 'lp:' .. key
  local left, look, count = nil, now, 0
  for _ = 1, most_let_in do
    local id = redis.call('ZRANGE', line, 0, 0)[1]
    if not id then
      redis.call('ZREM', prefix .. 'la', key)
      return count
    end
    local score, queue = parked_place(prefix, id, key)
    if score then
      if not left then
        left, look = room(prefix, key, limits_of(redis.call('HGET', prefix .. 'b', id) or '') or {}, now)
        left = math.min(left, most)
      end
      if left < 1 then break end
      if not is_paused_queue(prefix, queue, now) then left = left - 1 end
      count = count + 1
      redis.call('HDEL', prefix .. 'lw', id)
      make_ready(prefix, id, queue, score)
    end
    redis.call('ZREM', line, id)
  end
  -- There is room for more than one script lets in.
  if left and left > 0 then look = now end
  if most == math.huge then redis.call('ZADD', prefix .. 'la', whole(look), key) end
  return count
end

-- Look where it is time to look.
local function let_in_where_due(prefix, now)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'la', '-inf', whole(now), 'LIMIT', 0, 20)) do
    let_in(prefix, key, now, math.huge)
  end
end

-- The clock was set back: what is held is held no longer than it was, and somebody looks for room again.
local function set_limits_back(prefix, now, step)
  local held = redis.call('ZRANGE', prefix .. 'lh', 0, 999, 'WITHSCORES')
  for at = 1, #held, 2 do redis.call('ZADD', prefix .. 'lh', whole(tonumber(held[at + 1]) - step), held[at]) end
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'la', whole(now + 1), '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', prefix .. 'la', whole(now), key)
  end
end

-- Jobs that do not run any more give up their slots, and as many others are let in: who was let in before may not have
-- started yet. `items`, if any, are the ends of their attempts (include/settle.lua).
local function release(prefix, ids, now, items)
  if #ids == 0 or redis.call('EXISTS', prefix .. 'lj') == 0 then return end
  local freed, taken, keys = {}, {}, fetch(prefix .. 'lj', ids)
  for index, key in ipairs(keys) do
    if key then
      taken[key] = taken[key] or redis.call('SCARD', prefix .. 'ls:' .. key)
      local more = items and adapt(prefix, key, items[index], taken[key], now) or 0
      freed[key] = (freed[key] or 0) + 1 + more
    end
  end
  for index, key in ipairs(keys) do
    if key then
      redis.call('HDEL', prefix .. 'lj', ids[index])
      redis.call('SREM', prefix .. 'ls:' .. key, ids[index])
    end
  end
  for key, count in pairs(freed) do let_in(prefix, key, now, count) end
end
