// Where code that deals with devices finds the guest's random bytes.
export { fillRandom } from '../task/entropy.ts';
