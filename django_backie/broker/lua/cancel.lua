-- Cancel waiting jobs.
-- keys: b h s f
-- args: prefix reason keep keep_failed
-- include: time mark record place
-- The rest: ids.
-- Answers per job: OK, RUNNING, ENDED, or GONE when the job is not here.
local now = now_ms()
local answers = {}
for at = first, #ARGV do
  local id = ARGV[at]
  local body = redis.call('HGET', b, id)
  local record = parse(redis.call('HGET', h, id))
  if not body then
    answers[#answers + 1] = 'GONE'
  elseif record.state == 'R' then
    answers[#answers + 1] = 'RUNNING'
  elseif ended[record.state] then
    answers[#answers + 1] = 'ENDED'
  else
    redis.call('ZREM', s, id)
    redis.call('HDEL', f, id)
    redis.call('ZREM', prefix .. 'q:' .. head_of(body), id)
    record.state, record.reason, record.finished, record.due = 'C', reason, whole(now), ''
    touch(record, now)
    redis.call('HSET', h, id, format(record))
    mark(prefix, {whole(record.version), id})
    expire(prefix, id, 'C', now)
    answers[#answers + 1] = 'OK'
  end
end
return answers
