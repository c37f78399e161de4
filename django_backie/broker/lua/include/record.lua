-- The record of a job that has been tried: one head line, then one line of opaque JSON for each ended attempt.
-- Head: state|version|attempt|crashes|worker|first started|started|finished|due|reason
-- A running job that is due was asked to cancel: then, and for that reason.
-- States: S scheduled, Y retryable, Q ready, R running, B blocked, D successful, F failed, C cancelled.
local function parse(text)
  if not text then
    return {state = 'Q', version = 0, attempt = 0, crashes = 0, worker = '', first = '', started = '',
            finished = '', due = '', reason = '', history = ''}
  end
  local head, history = text, ''
  local cut = string.find(text, '\n', 1, true)
  if cut then
    head, history = string.sub(text, 1, cut - 1), string.sub(text, cut)
  end
  local state, version, attempt, crashes, worker, begun, started, finished, due, reason =
    string.match(head, '^(%a)|(%d+)|(%d+)|(%d+)|([^|]*)|(%d*)|(%d*)|(%d*)|(%d*)|(.*)$')
  return {state = state, version = tonumber(version), attempt = tonumber(attempt), crashes = tonumber(crashes),
          worker = worker, first = begun, started = started, finished = finished, due = due, reason = reason,
          history = history}
end

local function format(record)
  return table.concat({record.state, whole(record.version), record.attempt, record.crashes, record.worker,
    record.first, record.started, record.finished, record.due, record.reason}, '|') .. record.history
end

-- Versions grow even where the clock does not; + 1 because the job's own enqueueing may bear this millisecond.
local function touch(record, now)
  record.version = math.max(record.version + 1, now + 1)
end

-- Every claim and every mirror reads the whole record: it keeps the last attempts only. The table keeps all.
local most_notes = 50

local function add_note(record, note)
  local is_first = record.history == ''
  record.history = record.history .. '\n' .. note
  if is_first then return end
  local _, count = string.gsub(record.history, '\n', '')
  if count > most_notes then record.history = string.sub(record.history, (string.find(record.history, '\n', 2, true))) end
end

local function is_asked(record)
  return record.state == 'R' and record.due ~= ''
end

-- The reason is in the record already.
local function give_up(record, now)
  record.state, record.finished, record.due = 'C', whole(now), ''
end

local ended = {D = true, F = true, C = true}
-- Only these are made ready and claimed. Half of a script may have left others in the way (mend.lua).
local waits = {S = true, Y = true, Q = true}
