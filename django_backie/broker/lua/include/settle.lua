-- End attempts: each item is id, token, next state, refund, delay in ms, reason, attempt record.
-- Answers per item: OK; STALE when the attempt is not the worker's (any more); DUP when it has ended before, be it by an
-- item of the same call. Hold and record must both say that the worker runs the job: half of a script may have left one.
local function verdict(record, worker)
  if record.worker == worker and ended[record.state] then return 'DUP' end
  return 'STALE'
end

local later = {S = true, Y = true}

local function put_back(prefix, item, hold)
  local score, queue = string.match(hold, '^%d+|%d|(-?%d+)|(.*)$')
  if item.state == 'Q' then
    make_ready(prefix, item.id, queue, score)
  elseif item.due then
    redis.call('ZADD', prefix .. 's', item.due, item.id)
    if item.refund then redis.call('HSET', prefix .. 'f', item.id, score .. '|' .. queue) end
  end
end

-- An attempt that ends its job changes little of the record: its text is enough, at half the cost of its parts.
-- Answers nothing where more has to be done.
local function with_end(text, item, now, worker)
  if item.refund or not ended[item.state] then return nil end
  local version, counts, runner, times, history =
    string.match(text, '^R|(%d+)|(%d+|%d+)|([^|]*)|(%d*|%d*)|||[^\n]*(.*)$')
  if runner ~= worker then return nil end
  local record = {version = tonumber(version), history = history}
  if item.note ~= '' then add_note(record, item.note) end
  touch(record, now)
  version = whole(record.version)
  return version, table.concat({item.state, version, counts, worker, times, whole(now), '', item.reason}, '|') .. record.history
end

local function with_changes(text, item, now, worker)
  local record = parse(text)
  if record.state ~= 'R' or record.worker ~= worker then return nil end
  -- Asked to cancel, it does not wait for another attempt; it may have ended otherwise before it noticed.
  if is_asked(record) and (item.state == 'C' and item.reason == '' or not ended[item.state]) then
    item.state, item.reason = 'C', record.reason
  end
  record.state, record.reason, record.due = item.state, item.reason, ''
  if item.refund then record.attempt = record.attempt - 1 end
  if item.note ~= '' then add_note(record, item.note) end
  if later[item.state] then
    item.due = whole(now + item.delay)
    record.due = item.due
  end
  if ended[item.state] then record.finished = whole(now) end
  touch(record, now)
  return whole(record.version), format(record)
end

local function settle(prefix, worker, now, items)
  local ids = {}
  for index, item in ipairs(items) do ids[index] = item.id end
  local held, records = fetch(prefix .. 'w:' .. worker, ids), fetch(prefix .. 'h', ids)
  local answers, released, over, written, marked, seen = {}, {}, {}, {}, {}, {}
  for index, item in ipairs(items) do
    local hold, text = held[index] or '', records[index]
    local version, new
    if not seen[item.id] and string.match(hold, '^%d+') == item.token then
      version, new = with_end(text or '', item, now, worker)
      if not version then version, new = with_changes(text, item, now, worker) end
    end
    if seen[item.id] then
      answers[index] = 'DUP'
    elseif not version then
      answers[index] = verdict(parse(text), worker)
    else
      answers[index], seen[item.id] = 'OK', true
      released[#released + 1] = item.id
      over[#over + 1] = item
      written[#written + 1] = item.id
      written[#written + 1] = new
      marked[#marked + 1] = version
      marked[#marked + 1] = item.id
    end
  end
  -- The records first: where a server applies the beginning of a script only, no hold has gone without its attempt's end.
  call_in_chunks('HSET', prefix .. 'h', written, 500)
  for index, item in ipairs(items) do
    if answers[index] ~= 'OK' then
      -- Nothing has ended here.
    elseif ended[item.state] then
      expire(prefix, item.id, item.state, now)
    else
      put_back(prefix, item, held[index])
    end
  end
  call_in_chunks('HDEL', prefix .. 'w:' .. worker, released, 500)
  mark(prefix, marked)
  release(prefix, released, now, over)
  return answers
end

-- Seven arguments an item, from ARGV[from] on.
local function read_items(from, count)
  local items = {}
  for index = 0, count - 1 do
    local at = from + index * 7
    items[index + 1] = {id = ARGV[at], token = ARGV[at + 1], state = ARGV[at + 2],
      refund = ARGV[at + 3] == '1', delay = tonumber(ARGV[at + 4]), reason = ARGV[at + 5], note = ARGV[at + 6]}
  end
  return items
end
