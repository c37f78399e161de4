-- Queues that take jobs in and give none out: `p`, queue -> the end of its pause in ms or nothing, "|", what people read.
-- Answers them as a set, and those whose pause has ended as a list.
local function paused_queues(prefix, now)
  local found, paused, over = redis.call('HGETALL', prefix .. 'p'), {}, {}
  for at = 1, #found, 2 do
    local ends = tonumber(string.match(found[at + 1], '^%d+'))
    if ends and ends <= now then
      over[#over + 1] = found[at]
    else
      paused[found[at]] = true
    end
  end
  return paused, over
end

-- One marker for a queue that has jobs: who takes it passes it on.
local function wake_if_ready(prefix, queue)
  if redis.call('EXISTS', prefix .. 'q:' .. queue) == 1 then wake(prefix, queue) end
end
