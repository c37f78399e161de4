-- End attempts and take new jobs in one round trip: a busy worker needs nothing else.
-- keys: w s
-- args: prefix worker limit mode queue_count item_count keep keep_failed
-- include: time mark record place promote settle claim
-- The rest: the queues (to serve in order when mode is "only", to leave out when it is "all"), then seven arguments
-- for each ended attempt (include/settle.lua).
-- Answers: "OK" or "FENCED", answers per attempt, jobs (include/claim.lua), number of jobs held, ms until the next
-- scheduled job is due (-1: none).
begin_with_a_free_write(prefix)
local now = now_ms()
local queues, from = {}, first + tonumber(queue_count)
for at = first, from - 1 do queues[#queues + 1] = ARGV[at] end
local items = read_items(from, tonumber(item_count))
local answers = settle(prefix, worker, now, items)
if not redis.call('ZSCORE', w, worker) then return {'FENCED', answers, {}, 0, -1} end
local jobs = {}
if tonumber(limit) > 0 then
  promote(prefix, now, 200)
  local served
  jobs, served = claim(prefix, worker, now, tonumber(limit), mode, queues)
  -- What is left wakes the next idle worker: one marker wakes one worker, who passes it on.
  if #jobs / 7 == tonumber(limit) then
    for _, queue in ipairs(served) do
      if redis.call('EXISTS', prefix .. 'q:' .. queue) == 1 then wake(prefix, queue) end
    end
  end
end
local next_due = redis.call('ZRANGE', s, 0, 0, 'WITHSCORES')
local wait = next_due[2] and math.max(0, tonumber(next_due[2]) - now) or -1
return {'OK', answers, jobs, redis.call('HLEN', prefix .. 'w:' .. worker), wait}
