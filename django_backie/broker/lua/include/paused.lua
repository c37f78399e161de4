-- Queues that take jobs in and give none out: `p`, queue -> the end of its pause in ms or nothing, "|", what people read.
-- A task stands there behind a line break, which no queue's name has.
-- Answers the queues as a set, the names whose pause has ended as a list, and where tasks are paused, task -> end.
local function paused_queues(prefix, now)
  local found, paused, over, tasks = redis.call('HGETALL', prefix .. 'p'), {}, {}, nil
  for at = 1, #found, 2 do
    local ends = tonumber(string.match(found[at + 1], '^%d+'))
    if ends and ends <= now then
      over[#over + 1] = found[at]
    elseif string.byte(found[at]) == 10 then
      tasks = tasks or {}
      tasks[string.sub(found[at], 2)] = ends or math.huge
    else
      paused[found[at]] = true
    end
  end
  return paused, over, tasks
end

-- One marker for a queue that has jobs: who takes it passes it on.
local function wake_if_ready(prefix, queue)
  if redis.call('EXISTS', prefix .. 'q:' .. queue) == 1 then wake(prefix, queue) end
end

-- What waits for a pause that is over goes on.
local function go_on(prefix, name, now)
  if string.byte(name) == 10 then
    let_in(prefix, 't' .. string.sub(name, 2), now, math.huge)
  else
    wake_if_ready(prefix, name)
  end
end
