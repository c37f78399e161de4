-- Keep time for all: promote due jobs, take back what dead workers hold, end pauses, drop what expired; any worker may.
-- keys: w b h x e g a clk pr p lr lh
-- args: prefix lease interval keep keep_failed
-- include: time mark record place fair adaptive limits promote recover tombs paused unique
-- Answers: workers buried, jobs taken back, jobs promoted; all 0 when the last tick is younger than `interval` ms. Then
-- in any case a flat list of the workers of whose jobs some were asked to cancel, each with a number that grows with
-- every asking (asked.lua tells which).
begin_with_a_free_write(prefix)
local now = now_ms()
local asked = redis.call('ZRANGE', a, 0, -1, 'WITHSCORES')
local last = tonumber(redis.call('GET', clk)) or now - tonumber(interval)
if now >= last and now - last < tonumber(interval) then return {0, 0, 0, asked} end
redis.call('SET', clk, whole(now))
-- A hole in time (frozen server, nobody ticked, clock moved): nobody could renew, so nobody is reaped this round.
local hole = now - last > tonumber(lease) * 2 / 3 or last - now > 5000
local buried, taken = 0, 0
local late = redis.call('ZRANGEBYSCORE', w, '-inf', whole(now), 'LIMIT', 0, 20)
if hole then
  for _, worker in ipairs(redis.call('ZRANGE', w, 0, -1)) do
    redis.call('ZADD', w, whole(now + tonumber(lease)), worker)
  end
else
  for _, worker in ipairs(late) do
    taken = taken + recover(prefix, worker, now, nil)
    buried = buried + 1
  end
end
if last - now > 5000 then set_limits_back(prefix, now, last - now) end
local promoted = promote(prefix, now, 1000)
look_at_lines(prefix, now)
local _, over = paused_queues(prefix, now)
for _, name in ipairs(over) do
  redis.call('HDEL', p, name)
  go_on(prefix, name, now)
end
for _ = 1, 20 do
  local expired = redis.call('ZRANGEBYSCORE', x, '-inf', whole(now), 'LIMIT', 0, 500)
  if #expired == 0 then break end
  redis.call('HDEL', pr, unpack(expired))
  redis.call('HDEL', b, unpack(expired))
  redis.call('HDEL', h, unpack(expired))
  redis.call('ZREM', x, unpack(expired))
end
remove_range(e, '-inf', whole(now))
-- A connection that hangs for so long is given up by the other side too.
remove_range(g, '-inf', whole(now - tomb_stands))
-- Made before the clock was set back.
remove_range(g, whole(now + tomb_stands), '+inf')
sweep_keys(prefix, now)
remove_range(lr, '-inf', whole(now))
forget_measures(prefix, now)
remove_range(lh, '-inf', whole(now))
for at = 1, #asked, 2 do
  if not redis.call('ZSCORE', w, asked[at]) then redis.call('ZREM', a, asked[at]) end
end
return {buried, taken, promoted, asked}
