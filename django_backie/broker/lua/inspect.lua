-- Show jobs as they are now.
-- keys: b h s pr
-- args:
-- The rest: ids.
-- Answers a flat list: body or "" (not here), record or "", due or "", progress (progress.lua) or "".
local answer = {}
for at = first, #ARGV do
  local id = ARGV[at]
  local record = redis.call('HGET', h, id) or ''
  local due = record == '' and redis.call('ZSCORE', s, id) or ''
  local progress = record ~= '' and redis.call('HGET', pr, id) or ''
  for _, value in ipairs({redis.call('HGET', b, id) or '', record, due or '', progress}) do answer[#answer + 1] = value end
end
return answer
