-- Bring jobs back from their rows: retried by a person, or lost with the server's memory.
-- keys: b h s x e g
-- args: prefix revive keep keep_failed
-- include: time mark record place fair tombs unique
-- Eight arguments a job: id, body, due in ms or "", attempts used, crashes, history (include/record.lua), the row's
-- version, and when it was first started, in ms, or "".
-- revive: "1" brings back also what is here and has ended; a person may want that, but who restores what is lost must
-- not: it has ended though its row does not say so yet.
-- A row older than the end of its job is late in any case, and comes from a caller that gave up long ago.
-- One whose unique key another job has is here as cancelled then; a person is refused.
-- Answers per job: the new version, or 0 when the job was left alone, or -1 when another has its unique key.
local now = now_ms()
local answers, ids = {}, {}
for at = first, #ARGV, 8 do ids[#ids + 1] = ARGV[at] end
local tombs = tombs_of(ids)
for at = first, #ARGV, 8 do
  local id, body, due = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local record = parse(redis.call('HGET', h, id))
  local is_here = redis.call('HEXISTS', b, id) == 1
  local tomb = tombs[#answers + 1]
  local row_version = tonumber(ARGV[at + 6])
  local is_revived = revive == '1' and ended[record.state] and record.version <= row_version
  if is_here and not is_revived or tomb and tomb > row_version then
    answers[#answers + 1] = 0
  else
    -- A record without a body is what half of a script has left: its history is not that of the row's attempts.
    if not is_here then record = parse(false) end
    record.attempt, record.crashes = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    record.state, record.finished, record.due, record.reason = 'Q', '', due, ''
    record.version = math.max(record.version, row_version)
    if record.history == '' then record.history = ARGV[at + 5] end
    -- A person who retries a job begins anew; what was lost has begun, though nobody may know how its attempt ended.
    if revive ~= '1' and record.first == '' then record.first = ARGV[at + 7] end
    local key, holder = unique_of(body), nil
    if key and keeps(key, record) then holder = holder_of(prefix, key, now) else key = nil end
    if holder == id then holder = nil end
    if holder and revive == '1' then
      answers[#answers + 1] = -1
    else
      -- The first write is a growing one: a full server refuses the script before anything has changed.
      note_queue(prefix, (head_of(body)))
      redis.call('ZREM', x, id)
      if key and not holder then take_key(prefix, key, '', id, now) end
      if holder then
        turn_away(record, holder, now)
        expire(prefix, id, 'C', now)
      elseif due ~= '' and tonumber(due) > now then
        record.state = 'S'
        redis.call('ZADD', s, due, id)
      else
        append(prefix, id, body)
      end
      touch(record, now)
      redis.call('HSET', h, id, format(record))
      mark(prefix, {whole(record.version), id})
      -- Last, as in enqueue.lua.
      redis.call('HSET', b, id, body)
      answers[#answers + 1] = whole(record.version)
    end
  end
end
return answers
