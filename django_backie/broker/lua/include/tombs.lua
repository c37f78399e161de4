-- What a push that comes too late must not bring back: erased jobs (`e`, by the end of their tombstones), failed and
-- cancelled ones that have left Redis (`g`, by the version of their end).
local most_tombs, tomb_stands = 100000, 600000

-- Answers for each id the version of the row from which it may come back, or nothing where there is no tomb.
local function tombs_of(ids)
  local found = {}
  if redis.call('EXISTS', e, g) == 0 then return found end
  local erased, over = call_for_each('ZMSCORE', e, ids), call_for_each('ZMSCORE', g, ids)
  for index = 1, #ids do found[index] = erased[index] and math.huge or tonumber(over[index] or nil) end
  return found
end

-- `list` is version, id, version, id ...
local function entomb(list)
  call_in_chunks('ZADD', g, list, 500)
  local surplus = redis.call('ZCARD', g) - most_tombs
  if surplus > 0 then redis.call('ZREMRANGEBYRANK', g, 0, surplus - 1) end
end

-- A part at a time: nobody waits for a million.
local function remove_range(key, from, to)
  for _ = 1, 20 do
    local found = redis.call('ZRANGEBYSCORE', key, from, to, 'LIMIT', 0, 1000)
    if #found == 0 then return end
    redis.call('ZREM', key, unpack(found))
  end
end
