import { app } from '@azure/functions';
import { closeBroker } from './compose.ts';

// A process that is told to end closes its audit chain; one that is killed leaves it open, which readers see as well.
app.hook.appTerminate(closeBroker);
