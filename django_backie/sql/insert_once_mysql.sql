-- Write rows; what is there already stays as it is.
INSERT IGNORE INTO {table} ({columns}) {rows}
