-- Fairness: the jobs of a group stand in a line of their own, and only the first of it in their queue, as many as the
-- group's weight: those are due. Where one of them leaves, the next of the line takes the place of one that comes now. So
-- groups take turns, however long their lines are, and jobs without a group keep their places.
-- `gl:<priority>|<group>|<queue>`: all of a group that wait, in the order of their coming; `ga`: lines of which some are not
-- due -> when to look. Whoever is not due stands in its queue behind all others, where no claim reaches.
-- Only the queue says who waits: a line that half of a script has left wrong is put right by the next look.
local fair_patience = 10000

-- The line of a job and its weight, where its body's first line bears the flag (core/fair.py).
local function line_of(body, queue, priority)
  if not string.find(body, '^%d+%a*f%a*\n') then return nil end
  local envelope = string.match(body, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n()')
  local group, weight = string.match(body, '"i":"(%x+)|(%d+)"', envelope)
  if not group then return nil end
  return table.concat({priority, group, queue}, '|'), tonumber(weight)
end

-- Answers the place of a job that comes to the end of its group.
local function line_up(prefix, id, body, queue, priority, sequence)
  local line, weight = line_of(body, queue, priority)
  if not line then return score_of(priority, sequence, step_of(body)) end
  redis.call('ZADD', prefix .. 'gl:' .. line, whole(sequence), id)
  if redis.call('ZCARD', prefix .. 'gl:' .. line) <= weight then return score_of(priority, sequence, step_of(body)) end
  redis.call('ZADD', prefix .. 'ga', 'NX', 0, line)
  return whole(not_due + sequence)
end

-- Put a job at the end of its priority, or of its line. A job without a body was erased: it is forgotten.
local function append(prefix, id, body)
  local queue, priority = head_of(body)
  local score = line_up(prefix, id, body, queue, priority, redis.call('INCR', prefix .. 'seq'))
  redis.call('ZADD', prefix .. 'q:' .. queue, score, id)
  wake(prefix, queue)
end

local function call_up(prefix, id, queue, priority)
  local step = step_of(redis.call('HGET', prefix .. 'b', id) or '')
  make_ready(prefix, id, queue, score_of(priority, redis.call('INCR', prefix .. 'seq'), step))
end

-- Let a job go that has left its queue otherwise than by a claim; the next one is due in its stead.
local function leave_line(prefix, id, body)
  local queue, priority = head_of(body)
  local line, weight = line_of(body, queue, priority)
  if not line or redis.call('ZREM', prefix .. 'gl:' .. line, id) == 0 then return end
  local next_one = redis.call('ZRANGE', prefix .. 'gl:' .. line, weight - 1, weight - 1)[1]
  local score = next_one and redis.call('ZSCORE', prefix .. 'q:' .. queue, next_one)
  if score and tonumber(score) >= not_due then call_up(prefix, next_one, queue, priority) end
end

local function is_in_line(prefix, id, body)
  local line = line_of(body, head_of(body))
  return line and redis.call('ZSCORE', prefix .. 'gl:' .. line, id)
end

-- Where nobody waits in any line, claims do not look at them: whoever is claimed goes.
local function go_from_line(prefix, id, body)
  local line = line_of(body, head_of(body))
  if line then redis.call('ZREM', prefix .. 'gl:' .. line, id) end
end

-- Put a line right: who is first in it is due, and who is not in the queue is not in the line.
local function look_at_line(prefix, line)
  local priority, queue = string.match(line, '^(-?%d+)|%x+|(.*)$')
  for _ = 1, 100 do
    local first = redis.call('ZRANGE', prefix .. 'gl:' .. line, 0, 0)
    local _, weight = line_of(first[1] and redis.call('HGET', prefix .. 'b', first[1]) or '', queue, priority)
    if weight then first = redis.call('ZRANGE', prefix .. 'gl:' .. line, 0, weight - 1) end
    local gone = {}
    for _, id in ipairs(first) do
      local score = redis.call('ZSCORE', prefix .. 'q:' .. queue, id)
      if not score then
        gone[#gone + 1] = id
      elseif tonumber(score) >= not_due then
        call_up(prefix, id, queue, priority)
      end
    end
    if #gone == 0 then return #first == weight end
    redis.call('ZREM', prefix .. 'gl:' .. line, unpack(gone))
  end
  return true
end

local function look_at_lines(prefix, now)
  for _, line in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'ga', '-inf', whole(now), 'LIMIT', 0, 20)) do
    if look_at_line(prefix, line) then
      redis.call('ZADD', prefix .. 'ga', whole(now + fair_patience), line)
    else
      redis.call('ZREM', prefix .. 'ga', line)
    end
  end
end

-- One after the other, those of a line that are not due yet; a part of it is read at a time. Of the first the queue says
-- who is due, and who is there, and nobody in `seen` comes once more: half of a script may have left others in a line.
local function read_line(prefix, name, weight, queue, priority, part, seen)
  local line = {key = prefix .. 'gl:' .. name, name = name, has = {}, taken = {}, strays = {}}
  local ids, index, skipped = {}, 0, {}
  local function read(count)
    for _, id in ipairs(redis.call('ZRANGE', line.key, #ids, #ids + count - 1)) do
      ids[#ids + 1] = id
      line.has[id] = true
    end
  end
  function line.next()
    local id
    repeat
      index = index + 1
      if index > #ids then read(part) end
      id = ids[index]
    until not id or not (skipped[id] or seen[id])
    if id then seen[id] = true else line.is_dry = true end
    return id
  end
  line.ids = ids
  read(weight + part)
  local first = {unpack(ids, 1, math.min(weight, #ids))}
  for at, score in ipairs(call_for_each('ZMSCORE', prefix .. 'q:' .. queue, first)) do
    skipped[first[at]] = not score or tonumber(score) < not_due
  end
  return line
end

local function go_from_lines(prefix, lines)
  for _, line in pairs(lines) do
    local is_in_order = true
    for at, id in ipairs(line.taken) do is_in_order = is_in_order and id == line.ids[at] end
    if is_in_order and #line.taken > 0 then
      redis.call('ZREMRANGEBYRANK', line.key, 0, #line.taken - 1)
    else
      call_in_chunks('ZREM', line.key, line.taken, 500)
    end
    call_in_chunks('ZREM', line.key, line.strays, 500)
    if line.is_dry then redis.call('ZREM', prefix .. 'ga', line.name) end
  end
end

-- The first of those who come up, in the order of their places; most come up behind all others.
local function step_up(coming, new)
  local at = #coming
  while at > 0 and coming[at].place > new.place do at = at - 1 end
  table.insert(coming, at + 1, new)
end

-- Take from a queue up to a place. Who comes up meanwhile is taken at his own place, too. Answers how many were taken.
local function pop_fairly(prefix, queue, bound, limit, take)
  local key = prefix .. 'q:' .. queue
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', whole(bound), 'WITHSCORES', 'LIMIT', 0, limit)
  local ids, scores, line_of_each, lines = {}, {}, {}, {}
  for at = 1, #found, 2 do ids[#ids + 1], scores[#scores + 1] = found[at], found[at + 1] end
  local due, seen = #ids, {}
  for _, id in ipairs(ids) do seen[id] = true end
  for index, body in ipairs(fetch(prefix .. 'b', ids)) do
    local _, priority = head_of(body or '')
    local name, weight = line_of(body or '', queue, priority)
    if name then
      if not lines[name] then
        lines[name] = read_line(prefix, name, weight, queue, priority, weight * math.ceil(limit / due), seen)
        lines[name].rank = -tonumber(priority) * (step_of(body) or per_priority)
      end
      line_of_each[index] = lines[name]
    end
  end
  local former = tonumber(redis.call('GET', prefix .. 'seq') or 0)
  local sequence = former
  local count, popped, coming, gone, placed = 0, 0, {}, {}, {}
  while count < limit do
    local first, id, score, line = coming[1], nil, nil, nil
    if first and first.place <= bound and (popped == due or first.place < tonumber(scores[popped + 1])) then
      id, score, line = first.id, whole(first.place), first.line
      table.remove(coming, 1)
      gone[#gone + 1] = id
    elseif popped < due then
      popped = popped + 1
      id, score, line = ids[popped], scores[popped], line_of_each[popped]
    else
      break
    end
    count = count + 1
    take(id, score, queue)
    -- One that came back to a place of its own stands in no line any more.
    if line and not line.has[id] then
      -- Where weights differ it may stand further back than was read; it must not be found there when it runs.
      line.strays[#line.strays + 1] = id
    elseif line then
      line.taken[#line.taken + 1] = id
      local next_one = line.next()
      if next_one then
        sequence = sequence + 1
        step_up(coming, {id = next_one, line = line, place = line.rank + sequence})
      end
    end
  end
  for _, one in ipairs(coming) do
    placed[#placed + 1] = whole(one.place)
    placed[#placed + 1] = one.id
  end
  if sequence > former then redis.call('INCRBY', prefix .. 'seq', sequence - former) end
  if popped > 0 then redis.call('ZREMRANGEBYRANK', key, 0, popped - 1) end
  call_in_chunks('ZREM', key, gone, 500)
  call_in_chunks('ZADD', key, placed, 500)
  go_from_lines(prefix, lines)
  return count
end

-- Take from several queues by priority, and in order; from queues in strict order (`is_strict`) always from the first
-- that has any.
local function pop_in_turn(prefix, queues, is_strict, limit, take)
  local heads = {}
  local function look(queue)
    local head = redis.call('ZRANGE', prefix .. 'q:' .. queue, 0, 0, 'WITHSCORES')
    local score = tonumber(head[2] or not_due)
    return score < not_due and score or nil
  end
  for _, queue in ipairs(queues) do
    local score = look(queue)
    if score then heads[#heads + 1] = {queue = queue, score = score} end
  end
  while limit > 0 and #heads > 0 do
    if not is_strict then table.sort(heads, function(a, b) return a.score < b.score end) end
    local first, second = heads[1], not is_strict and heads[2]
    limit = limit - pop_fairly(prefix, first.queue, second and second.score or not_due - 1, limit, take)
    first.score = look(first.queue)
    if not first.score then table.remove(heads, 1) end
  end
end
