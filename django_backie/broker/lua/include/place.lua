-- Where a job belongs: the queue and the priority that stand in its body's head, and the score made of them.
local function head_of(body)
  return string.match(body, '^[^\n]*\n([^\n]*)\n(-?%d+)\n')
end

local function score_of(priority, sequence)
  return whole(-tonumber(priority) * 35184372088832 + sequence)
end

local function wake(prefix, queue)
  redis.call('ZADD', prefix .. 'k:' .. queue, 0, '1')
  redis.call('ZADD', prefix .. 'k', 0, '1')
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
