-- Unique keys: hash `u` has the id of each key's job, and behind a bar until when the key stands whatever becomes of it.
-- A key is void when its job is gone or has ended, so none is ever stuck, whatever a crash has left of a script.

-- The key of a body, its window in ms (or '') and what becomes of a job that has the key (r: it is replaced, x: it is
-- moved to another time, '': nothing); nothing where it has none. It opens the envelope (core/codec.py).
local function unique_of(body)
  return string.match(body, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n{"u":"([es]%x+)|?(%d*)|?([rx]?)"')
end

-- A key that begins with "s" is kept until its job is started for the first time.
local function keeps(key, record)
  if ended[record.state] then return false end
  return string.sub(key, 1, 1) == 'e' or record.first == '' and record.attempt == 0
end

-- What no worker has had yet may be replaced; a job that is parked as blocked was looked at, and not begun.
local function is_untouched(record)
  return not ended[record.state] and record.attempt == 0 and (record.first == '' or record.state == 'B')
end

-- Ids open with the milliseconds of their making. What the relay pushes late must not undo what was called since.
local function is_older(id, other)
  return string.sub(id, 1, 13) < string.sub(other, 1, 13)
end

-- The id of the job that has a key, or nothing.
local function holder_of(prefix, key, now)
  local value = redis.call('HGET', prefix .. 'u', key)
  if not value then return nil end
  local id, stands = string.match(value, '^([^|]*)|?(%d*)$')
  if stands ~= '' and tonumber(stands) > now then return id end
  if redis.call('HEXISTS', prefix .. 'b', id) == 0 then return nil end
  return keeps(key, parse(redis.call('HGET', prefix .. 'h', id))) and id or nil
end

-- Before the job itself is written: half of a script leaves a void key, never a job without its key.
local function take_key(prefix, key, window, id, now)
  redis.call('HSET', prefix .. 'u', key, window ~= '' and id .. '|' .. whole(now + tonumber(window)) or id)
end

local function turn_away(record, holder, now)
  record.state, record.reason, record.finished, record.due = 'C', 'duplicate of ' .. holder, whole(now), ''
end

-- Whoever stopped a job wants no window of it either.
local function give_up_key(prefix, body, id)
  local key = unique_of(body)
  local value = key and redis.call('HGET', prefix .. 'u', key)
  if value and string.match(value, '^[^|]*') == id then redis.call('HDEL', prefix .. 'u', key) end
end

local function forget_if_void(prefix, key, now)
  if not holder_of(prefix, key, now) then redis.call('HDEL', prefix .. 'u', key) end
end

-- Void keys that nobody has told of, a part at a time: all within two minutes, however many there are.
local function sweep_keys(prefix, now)
  local count = redis.call('HLEN', prefix .. 'u')
  if count == 0 then return end
  local part = math.min(2000, math.max(100, math.ceil(count / 100)))
  local found = redis.call('HSCAN', prefix .. 'u', redis.call('GET', prefix .. 'uc') or '0', 'COUNT', part)
  for at = 1, #found[2], 2 do forget_if_void(prefix, found[2][at], now) end
  if found[1] == '0' then redis.call('DEL', prefix .. 'uc') else redis.call('SET', prefix .. 'uc', found[1]) end
end
