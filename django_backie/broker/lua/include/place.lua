-- Where a job belongs: the queue and the priority that stand in its body's head, and the score made of them.
-- A damaged body must not stop the script for all others: it goes to the default queue, where a worker will park it.
-- Three digits: the score of a larger priority would not come back as a whole number, and holds could not be read.
local function head_of(body)
  local queue, priority = string.match(body, '^[^\n]*\n([^\n]*)\n(-?%d%d?%d?)\n')
  return queue or 'default', priority or '0'
end

local function score_of(priority, sequence)
  return whole(-tonumber(priority) * 35184372088832 + sequence)
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
  redis.call('ZADD', prefix .. 'q:' .. queue, score, id)
  wake(prefix, queue)
end

-- Put a job at the end of its priority. A job without a body was erased: it is forgotten.
local function append(prefix, id, body)
  local queue, priority = head_of(body)
  make_ready(prefix, id, queue, score_of(priority, redis.call('INCR', prefix .. 'seq')))
end
