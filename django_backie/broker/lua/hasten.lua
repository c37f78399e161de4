-- Make scheduled and retrying jobs ready now.
-- keys: b h s f
-- args: prefix keep keep_failed
-- include: time mark record place fair unique
-- The rest: ids.
-- Answers per job: OK, or the reason: READY, RUNNING, ENDED, GONE.
local now = now_ms()
local answers = {}
for at = first, #ARGV do
  local id = ARGV[at]
  local body = redis.call('HGET', b, id)
  local record = parse(redis.call('HGET', h, id))
  if not body then
    answers[#answers + 1] = 'GONE'
  elseif ended[record.state] then
    answers[#answers + 1] = 'ENDED'
  elseif record.state == 'R' then
    answers[#answers + 1] = 'RUNNING'
  elseif redis.call('ZREM', s, id) == 0 and record.state ~= 'B' then
    answers[#answers + 1] = 'READY'
  else
    redis.call('HDEL', f, id)
    append(prefix, id, body)
    -- Whoever parked it counted from its first claim; from now on it has time again. Unless it was unique until then: its
    -- key may be another job's.
    if record.state == 'B' and string.sub(unique_of(body) or '', 1, 1) ~= 's' then record.first = '' end
    record.state, record.due, record.reason = 'Q', '', ''
    touch(record, now)
    redis.call('HSET', h, id, format(record))
    mark(prefix, {whole(record.version), id})
    answers[#answers + 1] = 'OK'
  end
end
return answers
