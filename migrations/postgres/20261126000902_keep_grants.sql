-- While the grant of a callback is kept: until when that may still be asking Meta. After this it was interrupted.
ALTER TABLE attempts ADD COLUMN asking_until TIMESTAMPTZ;
