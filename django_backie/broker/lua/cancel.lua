-- Cancel waiting jobs, and ask running ones to end.
-- keys: b h a
-- args: prefix reason keep keep_failed
-- include: time mark record place fair stop unique
-- The rest: ids.
-- Answers per job: OK, ASKED, ENDED, or GONE when the job is not here.
begin_with_a_free_write(prefix)
local now = now_ms()

-- The first reason stays. The worker's number comes before all else: whoever is told too early finds nothing.
local function ask(id, record)
  if is_asked(record) then return end
  local last = tonumber(redis.call('ZSCORE', a, record.worker) or 0)
  redis.call('ZADD', a, whole(math.max(last + 1, now)), record.worker)
  record.due, record.reason = whole(now), reason
  touch(record, now)
  redis.call('HSET', h, id, format(record))
  mark(prefix, {whole(record.version), id})
end

local answers = {}
for at = first, #ARGV do
  local id = ARGV[at]
  local body = redis.call('HGET', b, id)
  local record = parse(redis.call('HGET', h, id))
  if not body then
    answers[#answers + 1] = 'GONE'
  elseif record.state == 'R' then
    ask(id, record)
    answers[#answers + 1] = 'ASKED'
  elseif ended[record.state] then
    answers[#answers + 1] = 'ENDED'
  else
    stop_waiting(prefix, id, body, record, reason, now)
    leave_line(prefix, id, body)
    mark(prefix, {whole(record.version), id})
    give_up_key(prefix, body, id)
    answers[#answers + 1] = 'OK'
  end
end
return answers
