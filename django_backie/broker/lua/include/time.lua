-- The server's clock in milliseconds: the only clock that the scripts know.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

-- A full server refuses a script's first growing write, unless the script has written before. Heartbeats and
-- acknowledgements must get through, else every lease lapses and every live job runs twice.
local function begin_with_a_free_write(prefix)
  redis.call('DEL', prefix .. '_')
end

-- Call a command with a long argument list: Lua's stack bounds unpack().
local function call_in_chunks(command, key, list, size)
  for from = 1, #list, size do
    redis.call(command, key, unpack(list, from, math.min(from + size - 1, #list)))
  end
end

local function call_for_each(command, key, ids)
  local values = {}
  for from = 1, #ids, 500 do
    local part = redis.call(command, key, unpack(ids, from, math.min(from + 499, #ids)))
    for index = 1, #part do values[from + index - 1] = part[index] end
  end
  return values
end

local function fetch(key, ids)
  return call_for_each('HMGET', key, ids)
end
