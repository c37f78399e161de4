-- Where a job belongs: the queue and the priority that stand in its body's head, and the score made of them.
-- A damaged body must not stop the script for all others: it goes to the default queue, where a worker will park it.
-- Three digits: the score of a larger priority would not come back as a whole number, and holds could not be read.
local function head_of(body)
  local queue, priority = string.match(body, '^[^\n]*\n([^\n]*)\n(-?1?%d?%d)\n')
  return queue or 'default', priority or '0'
end

-- Behind all priorities: where those of a queue stand who are not due (include/fair.lua).
local per_priority, not_due = 35184372088832, 7036874417766400

-- How many places a priority is worth in a queue that ages, where the body's first line bears the flag (core/codec.py);
-- nothing where priorities are exact.
local function step_of(body)
  if string.byte(body, 2) == 10 or not string.find(body, '^%d+%a*p%a*\n') then return nil end
  local envelope = string.match(body, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n()')
  local step = string.match(body, '"p":(%d+),', envelope)
  return step and #step <= 9 and tonumber(step) or nil
end

local function score_of(priority, sequence, step)
  return whole(-tonumber(priority) * (step or per_priority) + sequence)
end

local function wake(prefix, queue)
  redis.call('ZADD', prefix .. 'k:' .. queue, 0, '1')
  redis.call('ZADD', prefix .. 'k', 0, '1')
end

-- Workers that exclude queues wait for the markers of those they know: tell them of a new one.
local function note_queue(prefix, queue)
  if redis.call('SADD', prefix .. 'qs', queue) == 1 then redis.call('ZADD', prefix .. 'kn', 0, '1') end
end

local function make_ready(prefix, id, queue, score)
  -- It has had its turn, though half of a script may have left it where nobody was due.
  if tonumber(score) >= not_due then score = whole(score - not_due) end
  redis.call('ZADD', prefix .. 'q:' .. queue, score, id)
  wake(prefix, queue)
end
