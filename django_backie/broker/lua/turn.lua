-- End attempts and take new jobs in one round trip: a busy worker needs nothing else.
-- keys: w s ws la
-- args: prefix worker limit mode queue_count item_count most_unmirrored keep keep_failed
-- include: time mark record place fair adaptive limits promote settle paused claim unique
-- The rest: the queues (to serve in order when mode is "only", to leave out when it is "all"), then seven arguments
-- for each ended attempt (include/settle.lua), then the unique keys of jobs that have ended.
-- Answers: "OK", "FENCED", or "SLOW" (no jobs, the mirror must catch up first), answers per attempt, jobs
-- (include/claim.lua), number of jobs held, ms until it is worth while to ask again (-1: unless there is a wake-up).
local function pass_on(prefix, queues)
  for _, queue in ipairs(queues) do wake_if_ready(prefix, queue) end
end

begin_with_a_free_write(prefix)
local now = now_ms()
local queues, from = {}, first + tonumber(queue_count)
for at = first, from - 1 do queues[#queues + 1] = ARGV[at] end
local items = read_items(from, tonumber(item_count))
local answers = settle(prefix, worker, now, items)
for at = from + 7 * #items, #ARGV do forget_if_void(prefix, ARGV[at], now) end
local wanted = tonumber(limit)
local is_fenced = not redis.call('ZSCORE', w, worker)
if wanted > 0 and (is_fenced or redis.call('SISMEMBER', ws, worker) == 1) then
  -- It waited when it was struck off or told to stop: the marker that it has got is for somebody else.
  pass_on(prefix, queues_of(prefix, now, mode, queues))
  wanted = 0
end
if is_fenced then return {'FENCED', answers, {}, 0, -1} end
local jobs, is_cut_short = {}, false
local is_slow = wanted > 0 and redis.call('ZCARD', prefix .. 'd') > tonumber(most_unmirrored)
if wanted > 0 and not is_slow then
  promote(prefix, now, 200)
  local served, is_more
  jobs, served, is_more = claim(prefix, worker, now, wanted, mode, queues)
  -- What is left wakes the next idle worker: one marker wakes one worker, who passes it on.
  if is_more then pass_on(prefix, served) end
  -- So many were set aside that those behind them were not looked at.
  is_cut_short = is_more and #jobs < 7 * wanted
end
local next_due = redis.call('ZRANGE', s, 0, 0, 'WITHSCORES')
local next_look = redis.call('ZRANGE', la, 0, 0, 'WITHSCORES')
local soonest = is_cut_short and now or math.min(tonumber(next_due[2] or math.huge), tonumber(next_look[2] or math.huge))
local wait = is_slow and 200 or soonest < math.huge and math.max(0, soonest - now) or -1
return {is_slow and 'SLOW' or 'OK', answers, jobs, redis.call('HLEN', prefix .. 'w:' .. worker), wait}
