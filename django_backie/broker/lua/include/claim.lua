-- Hand ready jobs to a worker: at most `limit`, by priority and then in the order of enqueueing.
local function pop_from(key, limit)
  return redis.call('ZPOPMIN', key, limit)
end

-- Let the first of a heap sink to its place: it has the smallest score no more.
local function sink(heads)
  local at, moved, count = 1, heads[1], #heads
  while true do
    local child = 2 * at
    if child > count then break end
    if child < count and heads[child + 1].score < heads[child].score then child = child + 1 end
    if moved.score <= heads[child].score then break end
    heads[at] = heads[child]
    at = child
  end
  heads[at] = moved
end

-- Take from several queues as if they were one: always from the queue whose head comes first, up to the next head.
local function pop_merged(prefix, queues, limit, take)
  local heads = {}
  for _, queue in ipairs(queues) do
    local head = redis.call('ZRANGE', prefix .. 'q:' .. queue, 0, 0, 'WITHSCORES')
    if head[2] then heads[#heads + 1] = {queue = queue, score = tonumber(head[2])} end
  end
  -- What is sorted is a heap, too.
  table.sort(heads, function(a, b) return a.score < b.score end)
  while limit > 0 and #heads > 0 do
    local first, second, third = heads[1], heads[2], heads[3]
    if third and third.score < second.score then second = third end
    local bound = second and whole(second.score) or '+inf'
    local key = prefix .. 'q:' .. first.queue
    local found = redis.call('ZRANGEBYSCORE', key, '-inf', bound, 'WITHSCORES', 'LIMIT', 0, limit)
    local ids = {}
    for at = 1, #found, 2 do
      ids[#ids + 1] = found[at]
      take(found[at], found[at + 1], first.queue)
    end
    call_in_chunks('ZREM', key, ids, 500)
    limit = limit - #ids
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then
      first.score = tonumber(head[2])
    else
      heads[1] = heads[#heads]
      heads[#heads] = nil
    end
    if #heads > 1 then sink(heads) end
  end
end

local function pop_in_order(prefix, queues, limit, take)
  for _, queue in ipairs(queues) do
    if limit <= 0 then return end
    local found = pop_from(prefix .. 'q:' .. queue, limit)
    for at = 1, #found, 2 do take(found[at], found[at + 1], queue) end
    limit = limit - #found / 2
  end
end

-- The queues to serve: the given ones in strict order, or all but the excluded ones; none that is paused. Then the tasks
-- that are paused, if any.
local function queues_of(prefix, now, mode, given)
  local left_out, _, tasks = paused_queues(prefix, now)
  local known, queues = given, {}
  if mode ~= 'only' then
    for _, queue in ipairs(given) do left_out[queue] = true end
    known = redis.call('SMEMBERS', prefix .. 'qs')
  end
  for _, queue in ipairs(known) do
    if not left_out[queue] then queues[#queues + 1] = queue end
  end
  return queues, tasks
end

-- The task of a body; it follows what other scripts read (core/codec.py). Nothing where it cannot be read.
local function task_of(body)
  local at = string.match(body, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n{()')
  if not at then return nil end
  at = string.match(body, '^"u":"[^"]*",()', at) or at
  at = string.match(body, '^"l":"[^"]*",()', at) or at
  at = string.match(body, '^"i":"[^"]*",()', at) or at
  at = string.match(body, '^"p":%d+,()', at) or at
  local text = string.match(body, '^"t":"([^"]*)"', at)
  -- Letters beyond ASCII are escaped. A body that was altered must not stop the script.
  if not text or not string.find(text, '\\', 1, true) then return text end
  local is_read, found = pcall(cjson.decode, '["' .. text .. '"]')
  return is_read and found[1] or nil
end

-- Who waits for a pause leaves its room under limits to others that wait for it.
local function leave_room(prefix, limits, now)
  for _, key in ipairs({limits.slot or limits.rate, limits.slot and limits.rate}) do let_in(prefix, key, now, 1) end
end

-- How long a job waits aside that this worker may not take now, in ms; how often one claim looks for more jobs.
local aside, most_rounds = 1000, 20

-- A job that has already killed two workers decides at its next try. No worker holds two of those, lest an innocent one
-- be buried for the crash of the other.
local function may_take(prefix, worker, record, taken)
  if record.crashes < 2 then return true end
  if taken.dangerous == nil then
    taken.dangerous = false
    for _, hold in ipairs(redis.call('HVALS', prefix .. 'w:' .. worker)) do
      if string.match(hold, '^%d+|2|') then taken.dangerous = true end
    end
  end
  if taken.dangerous then return false end
  taken.dangerous = true
  return true
end

-- What a claim makes of a record; nothing where the job was not to be found in its queue.
local function claimed(text, worker, now)
  local record = parse(text)
  if not waits[record.state] then return nil end
  -- 1: started, as far as anybody will know. A job that was lost once without a trace counts as started from now on.
  local suspect = record.crashes > 1 and 2 or (record.crashes > 0 or record.reason == 'recovered') and 1 or 0
  record.state, record.worker, record.attempt = 'R', worker, record.attempt + 1
  record.started, record.finished, record.due = whole(now), '', ''
  if record.first == '' then record.first = record.started end
  touch(record, now)
  return {record = record, suspect = suspect, token = whole(record.version), text = format(record)}
end

-- Answers a flat list: id, token, attempt, crashes, body, first started, history for each job. The token is the version
-- that the claim gives to the record: no other claim of this job, by whomever, ever has the same.
-- `without` has the keys that have no room (include/limits.lua), `tasks` the paused ones, if any. Answers besides how
-- many jobs were popped, how many of those were parked, and whether others may have come in their place.
local function claim_from(prefix, worker, now, limit, mode, queues, is_fair, without, tasks)
  local ids, places = {}, {}
  local function take(id, score, queue)
    ids[#ids + 1] = id
    places[#places + 1] = {score = score, queue = queue}
  end
  if is_fair then
    pop_in_turn(prefix, queues, mode == 'only', limit, take)
  elseif #queues > 1 and mode ~= 'only' then
    pop_merged(prefix, queues, limit, take)
  else
    pop_in_order(prefix, queues, limit, take)
  end
  local bodies, records = fetch(prefix .. 'b', ids), fetch(prefix .. 'h', ids)
  local answer, holds, written, marked, taken, parked = {}, {}, {}, {}, {}, 0
  local has_let_in = false
  -- Most jobs have never been tried: their records are all the same.
  local fresh = claimed(false, worker, now)
  for index, id in ipairs(ids) do
    local new, body = fresh, bodies[index]
    if records[index] then new = claimed(records[index], worker, now) end
    -- A newline right after the version: without flags a job has no limits.
    local limits = new and body and string.byte(body, 2) ~= 10 and limits_of(body)
    if not is_fair and body and string.byte(body, 2) ~= 10 then go_from_line(prefix, id, body) end
    local task = tasks and new and body and task_of(body)
    local ends = task and tasks[task]
    local key, look
    if ends then
      key, look = 't' .. task, look_of_pause(ends, now)
    elseif limits then
      key, look = key_without_room(prefix, limits, now, without)
    end
    if not body or not new then
      -- It was erased, or is elsewhere.
    elseif key then
      parked = parked + 1
      park(prefix, id, key, look, places[index])
      if ends and limits then
        leave_room(prefix, limits, now)
        has_let_in = true
      elseif limits and limits.slot and limits.rate then
        -- The room that it leaves under its other limit is for the next one that waits for that.
        local other = key == limits.slot and limits.rate or limits.slot
        if not without[other] and let_in(prefix, other, now, 1) > 0 then has_let_in = true end
      end
    elseif not may_take(prefix, worker, new.record, taken) then
      -- It waits aside for a moment, lest those behind it wait, and comes back to its own place.
      redis.call('ZADD', prefix .. 's', whole(now + aside), id)
      redis.call('HSET', prefix .. 'f', id, places[index].score .. '|' .. places[index].queue)
    else
      if limits then take_room(prefix, id, limits, now) end
      local record, token = new.record, new.token
      holds[#holds + 1] = id
      holds[#holds + 1] = table.concat({token, new.suspect, places[index].score, places[index].queue}, '|')
      written[#written + 1] = id
      written[#written + 1] = new.text
      marked[#marked + 1] = token
      marked[#marked + 1] = id
      for _, value in ipairs({id, token, record.attempt, record.crashes, body, record.first, record.history}) do
        answer[#answer + 1] = value
      end
    end
  end
  call_in_chunks('HSET', prefix .. 'w:' .. worker, holds, 500)
  call_in_chunks('HSET', prefix .. 'h', written, 500)
  mark(prefix, marked)
  return answer, #ids, parked, has_let_in
end

-- A part at a time, as long as jobs are parked in place of those wanted; what is left to pop wakes a worker again.
local function claim(prefix, worker, now, limit, mode, given)
  local queues, tasks = queues_of(prefix, now, mode, given)
  local is_fair = redis.call('EXISTS', prefix .. 'ga') == 1
  local answer, wanted, without = {}, limit, {}
  for _ = 1, most_rounds do
    local found, popped, parked, has_let_in =
      claim_from(prefix, worker, now, wanted, mode, queues, is_fair, without, tasks)
    if #answer == 0 then
      answer = found
    else
      for _, value in ipairs(found) do answer[#answer + 1] = value end
    end
    if popped < wanted and not has_let_in then return answer, queues, false end
    if parked == 0 then break end
    wanted = wanted - popped + parked
  end
  return answer, queues, true
end
