-- Limits of concurrency that find their own measure: one slot more for each round of successes that had all slots, half of
-- them for a failure (additive increase, multiplicative decrease, as TCP has it).
-- Hash `lm`: key -> thousandths of a slot|when they were last halved|least|most; zset `lt`: key -> when that was written. What
-- has not changed for a day is forgotten.
local forgotten_after, failed = 86400000, {F = true, Y = true}

local function measure_of(prefix, key)
  local found = redis.call('HGET', prefix .. 'lm', key) or ''
  local size, halved, least, most = string.match(found, '^(%d+)|(%d+)|(%d+)|(%d+)$')
  if not size then return nil end
  return {size = tonumber(size), halved = tonumber(halved), least = tonumber(least), most = tonumber(most)}
end

-- The time first: half of a script leaves nothing that is never forgotten.
local function remember(prefix, key, measure, now)
  local text = table.concat({whole(measure.size), whole(measure.halved), measure.least, measure.most}, '|')
  redis.call('ZADD', prefix .. 'lt', whole(now), key)
  redis.call('HSET', prefix .. 'lm', key, text)
end

local function forget_measures(prefix, now)
  local old = redis.call('ZRANGEBYSCORE', prefix .. 'lt', '-inf', whole(now - forgotten_after), 'LIMIT', 0, 500)
  call_in_chunks('HDEL', prefix .. 'lm', old, 500)
  call_in_chunks('ZREM', prefix .. 'lt', old, 500)
end

local function slots_of(measure)
  return math.floor(measure.size / 1000)
end

-- What a job's own bounds make of what was found: they may be those of another release.
local function measure_within(prefix, limits)
  local measure = measure_of(prefix, limits.slot) or {size = limits.most * 1000, halved = 0}
  measure.size = math.max(limits.least * 1000, math.min(limits.top * 1000, measure.size))
  measure.least, measure.most = limits.least, limits.top
  return measure
end

-- How many jobs of a limit may run at once now.
local function most_of(prefix, limits)
  return limits.least and slots_of(measure_within(prefix, limits)) or limits.most
end

-- Only what has been started is measured.
local function begin_measure(prefix, limits, now)
  if limits.least then remember(prefix, limits.slot, measure_within(prefix, limits), now) end
end

-- The end of an attempt that had a slot; answers how many slots there are more. `taken`: of how many jobs before any of
-- those that end now.
local function adapt(prefix, key, item, taken, now)
  local measure = measure_of(prefix, key)
  if not measure then return 0 end
  local before = slots_of(measure)
  if failed[item.state] then
    -- Those that began before the last halving tell nothing new: a token is the time of its claim, and one. A halving
    -- that is still to come was noted before the clock was set back.
    if measure.halved <= now and tonumber(item.token) <= measure.halved + 1 then return 0 end
    measure.size, measure.halved = math.max(measure.least * 1000, math.floor(measure.size / 2)), now
  elseif item.state == 'D' and taken >= before then
    measure.size = math.min(measure.most * 1000, measure.size + math.max(1, math.floor(1000 / before)))
  else
    return 0
  end
  remember(prefix, key, measure, now)
  return math.max(0, slots_of(measure) - before)
end
