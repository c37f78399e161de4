-- One row.
VALUES ({placeholders})
