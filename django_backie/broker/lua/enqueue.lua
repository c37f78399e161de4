-- Add jobs; one that is here already is left alone, and one that has been here and has failed, or was cancelled or erased.
-- keys: b h s seq e g
-- args: prefix bounds unique keep keep_failed
-- include: time mark place tombs
-- policies: record fair stop unique
-- Five arguments a job: id, queue, priority, run after in ms since the epoch (or empty), body.
-- Bounds: the most ready jobs of a queue, as JSON of queue ("*": any other) -> number, or empty.
-- Unique: "1" where a job has a unique key, or empty.
-- One that replaces the job with its key, or moves it to its own time, says so with its key.
-- Answers per job: 1 added, 0 already here or over, 2 refused because its queue is full; or the id of the job that has
-- its unique key: this one is here as cancelled now.
local now = now_ms()
local bound_of = bounds ~= '' and cjson.decode(bounds) or {}

local function is_full(queue, coming)
  local most = bound_of[queue] or bound_of['*']
  return most and redis.call('ZCARD', prefix .. 'q:' .. queue) + coming >= most
end

local answers, marked, ready, bodies, ids, version = {}, {}, {}, {}, {}, whole(now)

-- Made only where a job has a unique key: a push of one plain job pays for each table and each function.
local keys, sent, replaced, other_holder, former_of, place_in, makes_room, replace, move_to
if unique ~= '' then
  keys, sent, replaced = {}, {}, {}

  function other_holder(key, id)
    local holder = keys[key] or holder_of(prefix, key, now)
    return holder ~= id and holder or nil
  end

  -- The record and the body of a job whose place a later one may take, or nothing. Those of this push are written last.
  function former_of(holder, id)
    local body, record = sent[holder] or redis.call('HGET', b, holder), parse(redis.call('HGET', h, holder))
    if body and is_untouched(record) and not is_older(id, holder) then return {record = record, body = body} end
  end

  -- Where a job of this push stands in a queue's line.
  function place_in(line, id)
    for at = 2, #line, 2 do
      if line[at] == id then return at end
    end
  end

  function makes_room(holder, queue, line)
    return (place_in(line, holder) or redis.call('ZSCORE', prefix .. 'q:' .. queue, holder)) and 1 or 0
  end

  -- Before the key is taken: half of a script leaves a cancelled job and a free key, never two jobs that wait.
  function replace(holder, former, id)
    local line = ready[head_of(former.body)] or {}
    local at = place_in(line, holder)
    if at then
      table.remove(line, at)
      table.remove(line, at - 1)
    end
    stop_waiting(prefix, holder, former.body, former.record, 'replaced by ' .. id, now)
    marked[#marked + 1] = whole(former.record.version)
    marked[#marked + 1] = holder
    replaced[#replaced + 1] = {id = holder, body = former.body}
  end

  -- A job that waits for its time gets a later call's; which call moved it last, its reason says.
  function move_to(holder, id, due)
    if due == '' or not redis.call('ZSCORE', s, holder) then return end
    local body, record = sent[holder] or redis.call('HGET', b, holder), parse(redis.call('HGET', h, holder))
    local is_aside = redis.call('HEXISTS', prefix .. 'f', holder) == 1
    local mover = string.match(record.reason, '^moved by (.+)$') or holder
    if not body or is_aside or not is_untouched(record) or is_older(id, mover) then return end
    redis.call('ZADD', s, due, holder)
    record.state, record.due, record.reason = 'S', due, 'moved by ' .. id
    touch(record, now)
    redis.call('HSET', h, holder, format(record))
    marked[#marked + 1] = whole(record.version)
    marked[#marked + 1] = holder
    wake(prefix, head_of(body))
  end
end

for at = first, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
local here, tombs, new = fetch(b, ids), tombs_of(ids), {}
-- Numbers for all of them at once; those that are not used are no harm.
local sequence = redis.call('INCRBY', seq, #ids) - #ids
for at = first, #ARGV, 5 do
  local id, queue, priority, due, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local is_later = due ~= '' and tonumber(due) > now
  local line = ready[queue] or {}
  sequence = sequence + 1
  local is_known = here[#answers + 1] or tombs[#answers + 1] or new[id]
  local key, window, conflict, holder, former
  if unique ~= '' then key, window, conflict = unique_of(body) end
  if key then holder = other_holder(key, id) end
  if holder and conflict == 'r' and not is_known then former = former_of(holder, id) end
  if is_known then
    answers[#answers + 1] = 0
  elseif holder and not former then
    if conflict == 'x' then move_to(holder, id, due) end
    answers[#answers + 1], new[id] = holder, true
    bodies[#bodies + 1] = id
    bodies[#bodies + 1] = body
    local record = parse(false)
    turn_away(record, holder, now)
    touch(record, now)
    redis.call('HSET', h, id, format(record))
    expire(prefix, id, 'C', now)
    marked[#marked + 1] = whole(record.version)
    marked[#marked + 1] = id
  elseif not is_later and is_full(queue, #line / 2 - (former and makes_room(holder, queue, line) or 0)) then
    answers[#answers + 1] = 2
  else
    answers[#answers + 1], new[id] = 1, true
    bodies[#bodies + 1] = id
    bodies[#bodies + 1] = body
    if key then
      if former then replace(holder, former, id) end
      keys[key], sent[id] = id, body
      take_key(prefix, key, window, id, now)
      -- What half of a script may have left of an earlier push, when another job had the key.
      redis.call('HDEL', h, id)
    end
    if not ready[queue] then note_queue(prefix, queue) end
    ready[queue] = line
    if is_later then
      redis.call('ZADD', s, due, id)
    else
      -- A newline right after the version: without flags a job has no group.
      local has_flags = string.byte(body, 2) ~= 10
      line[#line + 1] = has_flags and line_up(prefix, id, body, queue, priority, sequence) or score_of(priority, sequence)
      line[#line + 1] = id
    end
    marked[#marked + 1] = version
    marked[#marked + 1] = id
  end
end
mark(prefix, marked)
for queue, line in pairs(ready) do
  call_in_chunks('ZADD', prefix .. 'q:' .. queue, line, 500)
  wake(prefix, queue)
end
if replaced then
  for _, former in ipairs(replaced) do leave_line(prefix, former.id, former.body) end
end
-- Last: a job that is here has its place, also where a server applies the beginning of a script only (mend.lua).
call_in_chunks('HSET', b, bodies, 500)
return answers
